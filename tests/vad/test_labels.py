import codecs
import sys
from contextlib import suppress

import pandas as pd
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rtnb.errors import ConfigError, MissingExtra
from rtnb.vad import Label, Labels, Segment

TEXTUAL = ["audacity", "csv", "textgrid", "vtt"]
FORMATS = [*TEXTUAL, "rttm"]
YES_NO = Labels([Label(0.5, 1.25, "yes"), Label(2.0, 3.000001, "no, “ünï” → 好")])

ODD_TEXTS = [
    *("", " ", " a ", '"', 'say "so"', "-->", "<b>", "&amp;", "a & b", "#", ",", "1.5"),
    *("a\tb", "a\nb", "a\n\nb", "a\r\nb", "\r", "\ufeff", "\x00", "\x85", "\u2028"),
    *("\ud800", "\\\t1\t2", "NOTE", "text", "<v Bob>x", "item [1]:", "<NA>", "\\n"),
    'x" \n xmin = 3',
]
texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(ODD_TEXTS),
)


@st.composite
def labelled(draw, texts=texts, tiers=texts):
    """Labels of up to three tiers, many of them touching."""
    found = []
    for tier in draw(st.lists(tiers, max_size=3, unique=True)):
        now = 0
        for gap, length in draw(
            st.lists(
                st.tuples(
                    st.sampled_from([0, 1, 1000]) | st.integers(0, 10**10),
                    st.sampled_from([1, 1000, 500_000]) | st.integers(1, 10**10),
                ),
                max_size=4,
            )
        ):
            start, now = now + gap, now + gap + length
            found.append(Label(start / 1e6, now / 1e6, draw(texts), tier))
    return Labels(found)


def write(folder, labels, name, file="labels"):
    path = folder / file
    path.write_text("as before", "utf-8")
    labels.write(path, name)
    return path


@pytest.mark.parametrize("name", FORMATS)
@given(labels=labelled())
@example(labels=YES_NO)
def test_labels_survive_a_file_or_are_refused_in_words(name, labels, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "labels"
    path.write_text("as before", "utf-8")
    with suppress(ConfigError):
        labels.write(path, name)
    if path.read_text("utf-8") != "as before":
        decimals = 3 if name == "vtt" else 6
        found = Labels.read(path, name)
        assert [(label.start_s, label.end_s) for label in found] == sorted(
            (round(label.start_s, decimals), round(label.end_s, decimals))
            for label in labels
        )
        if name != "rttm":
            assert sorted(one.text for one in found) == sorted(
                one.text for one in labels
            )
        if name != "audacity":
            assert sorted(one.tier for one in found) == sorted(
                one.tier for one in labels
            )
        assert found.notes == ()
    assert [path.name for path in folder.glob(".labels*")] == []


letters = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=9)


@pytest.mark.parametrize("name", FORMATS)
@given(labels=labelled(texts=letters, tiers=letters))
def test_plain_words_are_never_refused(name, labels, tmp_path_factory):
    assume(labels or name != "textgrid")
    if name == "audacity":
        labels = Labels(one for one in labels if one.tier == labels[0].tier)
    if name == "vtt":
        labels = Labels(
            Label(one.start_s * 1000, one.end_s * 1000, one.text, one.tier)
            for one in labels
        )
    path = write(tmp_path_factory.getbasetemp(), labels, name)
    assert len(Labels.read(path, name)) == len(labels)


@given(
    labels=labelled(
        texts=texts.filter(lambda text: "\ud800" not in text), tiers=letters
    )
)
def test_csv_holds_everything(labels, tmp_path_factory):
    path = write(tmp_path_factory.getbasetemp(), labels, "csv")
    assert Labels.read(path, "csv") == labels


@given(labels=labelled())
def test_a_data_frame_holds_everything(labels):
    assert Labels.from_frame(labels.to_frame()) == labels


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".txt", "0.500000\t1.250000\tyes\n2.000000\t3.000001\tno, “ünï” → 好\n"),
        (".csv", 'start,end,text\n0.500000,1.250000,"yes"\n2.000000,3.000001,"no, “ünï” → 好"\n'),
        (".vtt", "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nyes\n\n00:00:02.000 --> 00:00:03.000\nno, “ünï” → 好\n"),
        (".rttm", "SPEAKER one 1 0.500000 0.750000 <NA> <NA> <NA> <NA> <NA>\nSPEAKER one 1 2.000000 1.000001 <NA> <NA> <NA> <NA> <NA>\n"),
    ],
)  # fmt: skip
def test_files_are_what_others_expect(suffix, text, tmp_path):
    YES_NO.write(tmp_path / f"one{suffix}")
    assert (tmp_path / f"one{suffix}").read_text("utf-8") == text


def test_a_textgrid_is_one_that_praat_opens(tmp_path):
    labels = Labels([*YES_NO, Label(0.75, 1.0, 'a "b"', "notes")])
    labels.write(tmp_path / "one.TextGrid")
    lines = (tmp_path / "one.TextGrid").read_text("utf-8").splitlines()
    assert lines[:2] == ['File type = "ooTextFile"', 'Object class = "TextGrid"']
    assert [line.split("=")[1].strip() for line in lines if "name =" in line] == [
        '""',
        '"notes"',
    ]
    assert "intervals: size = 4" in " ".join(lines)
    assert 'text = "a ""b"""' in " ".join(lines)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF8, b""])
@pytest.mark.parametrize("name", FORMATS)
def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(name, mark, tmp_path):
    path = write(tmp_path, YES_NO, name)
    data = path.read_bytes().replace(b"\n", b"\r\n")
    path.write_bytes(mark + data)
    found = Labels.read(path, name)
    assert [label.start_s for label in found] == [0.5, 2.0]
    assert name == "rttm" or [label.text for label in found] == [
        one.text for one in YES_NO
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_utf_16_with_its_mark_is_read(name, tmp_path):
    path = write(tmp_path, YES_NO, name)
    path.write_text(path.read_text("utf-8"), "utf-16")
    assert len(Labels.read(path, name)) == 2


def read(tmp_path, file, text):
    (tmp_path / file).write_text(text, "utf-8")
    return Labels.read(tmp_path / file)


def test_an_audacity_track_as_audacity_writes_it(tmp_path):
    text = (
        "1.500000\t1.500000\tclick\n0.250000\t1.000000\tyes, I do\n"
        "\\\t120.000000\t3400.000000\n\n2.000000\t2.500000\t\n3.0\t3.5\n"
    )
    labels = read(tmp_path, "track.txt", text)
    assert labels == Labels(
        [Label(0.25, 1.0, "yes, I do"), Label(2.0, 2.5), Label(3.0, 3.5)]
    )
    assert labels.notes == ("track.txt: left out what lasts no time, 1 of 4",)


def test_an_rttm_file_of_a_diariser(tmp_path):
    text = (
        ";; a comment\nSPKR-INFO call 1 <NA> <NA> <NA> unknown ann <NA> <NA>\n"
        "SPEAKER call 1 0.1 0.2 <NA> <NA> ann <NA> <NA>\n"
        "SPEAKER call 1 0.3 1 <NA> <NA> ann <NA>\n"
        "SPEAKER call 1 0.25 0.5 <NA> <NA> bob <NA>\n"
    )
    labels = read(tmp_path, "call.rttm", text)
    assert labels == Labels(
        [
            Label(0.1, 0.3, tier="ann"),
            Label(0.25, 0.75, tier="bob"),
            Label(0.3, 1.3, tier="ann"),
        ]
    )
    assert labels.notes == ()
    assert labels.tiers == ("ann", "bob")


def test_neighbours_in_rttm_stay_neighbours_however_many_decimals(tmp_path):
    text = (
        "SPEAKER a 1 7.4686035 8.62073 <NA> <NA> ann <NA> <NA>\n"
        "SPEAKER a 1 16.0893335 1 <NA> <NA> ann <NA> <NA>\n"
    )
    first, second = read(tmp_path, "a.rttm", text)
    assert first.end_s == second.start_s


@pytest.mark.parametrize(
    "text",
    [
        "start,end,text\n0.5,1,yes\n",
        "0.5,1,yes\n",
        "Text, Start ,End\nyes,.5,1.0\n\n",
        "start_s,end_s,label,confidence\n0.5,1,yes,0.9\n",
        '"0.5","1","yes"\n',
    ],
)
def test_csv_with_and_without_a_header(text, tmp_path):
    assert read(tmp_path, "labels.csv", text) == Labels([Label(0.5, 1.0, "yes")])


def test_webvtt_markup_is_passed_over_and_a_voice_is_a_tier(tmp_path):
    text = (
        "WEBVTT - title\n\nNOTE a note\n\nintro\n00:01.000 --> 00:02.000 align:start\n"
        "<v Ann>Well &lt;<b>yes</b>&gt;</v>\n\n00:01.500 --> 01:00:03.000\nno\nno\n"
    )
    assert read(tmp_path, "labels.vtt", text) == Labels(
        [Label(1.0, 2.0, "Well <yes>", "Ann"), Label(1.5, 3603.0, "no\nno")]
    )


def test_what_is_out_of_order_is_sorted_with_a_note(tmp_path):
    labels = read(tmp_path, "labels.csv", "3,4,b\n1,2,a\n")
    assert [label.text for label in labels] == ["a", "b"]
    assert labels.notes == ("labels.csv: put into the order of time",)


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("a.csv", "1,3,yes\n2,4,no\n", r"a\.csv: .*'yes' \(1\.000–3\.000 s\) and 'no' \(2\.000–4\.000 s\)"),
        ("a.csv", "2,1,yes\n", r"a\.csv: a label begins at 2\.0 s and ends at 1\.0 s"),
        ("a.csv", "-1,1,yes\n", "before the audio"),
        ("a.csv", "nan,1,yes\n", "start_s is nan"),
        ("a.csv", "from,to\n1,2\n", "no column 'start' among from, to"),
        ("a.csv", "1,2,yes\n3\n", "row 2 has no end"),
        ("a.csv", "start,end\n1,soon\n", "line 2: 'soon' is no time"),
        ("a.txt", "1.0 2.0 yes\n", "line 1 has no tab"),
        ("a.txt", "1,5\t2,5\tyes\n", "'1,5' is no time in seconds"),
        ("a.rttm", "SPEAKER a 1 0.5\n", "line 1 is not whole"),
        ("a.rttm", "SPEAKER a 1 0 1\nSPEAKER b 1 0 1\n", r"2 recordings \(a, b\)"),
        ("a.vtt", "1\n00:00:01,000 --> 00:00:02,000\nsubrip\n", "no vtt file"),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> soon\nyes\n", "no vtt file"),
        ("a.TextGrid", "hello\n", "no textgrid file"),
        ("a.TextGrid", "", "no textgrid file"),
        ("a.xml", "<a/>", r"end its name in \.txt, \.csv"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_good_says_why(file, text, complaint, tmp_path):
    with pytest.raises(ConfigError, match=complaint):
        read(tmp_path, file, text)


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_that_are_no_text(name, tmp_path):
    (tmp_path / "a").write_bytes(b"\x80\x81\xff" * 20)
    with pytest.raises(ConfigError, match=f"a is no {name} file"):
        Labels.read(tmp_path / "a", name)


def test_a_folder_and_a_missing_file_are_the_systems_errors(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(OSError, match=path.name):
            Labels.read(path, "csv")
    with pytest.raises(OSError, match="missing"):
        YES_NO.write(tmp_path / "missing" / "labels.csv")


@pytest.mark.parametrize(
    ("name", "labels", "complaint"),
    [
        ("audacity", [Label(0, 1, "a\tb")], "on one line without tabs"),
        ("audacity", [Label(0, 1, "a", "x"), Label(0, 1, "b", "y")], r"are 2 \('x', 'y'\)"),
        ("rttm", [Label(0, 1, "", "Ann Lee")], "without blanks"),
        ("vtt", [Label(0, 1, "a\n\nb")], "vtt cannot hold these labels: .*empty lines"),
        ("vtt", [Label(0, 0.0001, "a")], "too coarse"),
        ("textgrid", [Label(0, 1)], "is a gap"),
        ("textgrid", [], "one label at least"),
        ("csv", [Label(0, 1, "\ud800")], "no Unicode"),
        ("ogg", [Label(0, 1)], "format is 'ogg'"),
    ],
)  # fmt: skip
def test_what_a_format_cannot_hold_is_refused(name, labels, complaint, tmp_path):
    with pytest.raises(ConfigError, match=complaint):
        Labels(labels).write(tmp_path / "labels", name)
    assert list(tmp_path.iterdir()) == []


def test_a_written_file_has_the_mode_of_any_other(tmp_path):
    (tmp_path / "plain").touch()
    YES_NO.write(tmp_path / "new.csv")
    assert (tmp_path / "new.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new.csv").chmod(0o600)
    YES_NO.write(tmp_path / "new.csv")
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("start", "end", "complaint"),
    [
        (1.0, 1.0, "a microsecond at least"),
        (1.0, 1.0000001, "a microsecond at least"),
        (2.0, 1.0, r"begins at 2\.0 s and ends at 1\.0 s"),
        (-0.1, 1.0, r"begins at -0\.1 s, before the audio"),
        (0.0, float("inf"), "end_s is inf"),
    ],
)
def test_a_label_is_a_stretch_of_audio(start, end, complaint):
    with pytest.raises(ConfigError, match=complaint):
        Label(start, end)


def test_labels_of_one_tier_may_touch_and_of_two_overlap():
    labels = Labels([Label(0, 1, "a"), Label(1, 2, "b"), Label(0.5, 1.5, "c", "other")])
    assert labels.tiers == ("", "other")
    with pytest.raises(
        ConfigError, match=r"'a' \(0.*'b' .*end the first at 0\.999999 s"
    ):
        Labels([Label(0, 1, "a"), Label(0.999999, 2, "b")])


def test_labels_are_a_sequence_that_stays():
    assert len(YES_NO) == 2
    assert YES_NO[0].duration == 0.75
    assert isinstance(YES_NO[:1], Labels)
    assert Labels(reversed(YES_NO)) == YES_NO
    assert hash(YES_NO) == hash(Labels(iter(YES_NO)))
    assert Labels([*YES_NO]) != [*YES_NO]
    assert repr(YES_NO[:1]) == (
        "Labels([Label(start_s=0.5, end_s=1.25, text='yes', tier='')])"
    )
    with pytest.raises(AttributeError):
        YES_NO.labels = ()


def test_labels_of_turns_do_not_overlap():
    turns = [Segment(0, 500, 5, 14), Segment(340, 900, 20, 27)]
    labels = Labels.of(turns, text="speech", tier="user")
    assert labels == Labels(
        [Label(0, 0.5, "speech", "user"), Label(0.5, 0.9, "speech", "user")]
    )


def test_a_data_frame_without_texts(tmp_path):
    frame = pd.DataFrame({"start": [1, 0], "end": [2.5, 1], "label": ["a", None]})
    assert Labels.from_frame(frame) == Labels([Label(0, 1), Label(1, 2.5, "a")])
    with pytest.raises(ConfigError, match="no column 'end'"):
        Labels.from_frame(frame[["start"]])


@pytest.mark.parametrize(
    ("name", "module"), [("vtt", "webvtt"), ("textgrid", "praatio.textgrid")]
)
def test_a_missing_library_is_named_by_its_extra(name, module, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=r'pip install "rtnb\[labels\]"'):
        YES_NO.write(tmp_path / "labels", name)
