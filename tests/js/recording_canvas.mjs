/** A canvas that remembers what was drawn, in which colour. */
export class RecordingCanvas {
  rects = [];
  texts = [];
  paths = [];
  #path = [];
  #dash = [];

  fillRect(x, y, width, height) {
    this.rects.push({ colour: this.fillStyle, x, y, width, height });
  }

  strokeRect(x, y, width, height) {
    this.rects.push({ colour: this.strokeStyle, x, y, width, height, outline: true });
  }

  fillText(text, x, y) {
    this.texts.push({ colour: this.fillStyle, text, x, y });
  }

  measureText(text) {
    return { width: 6 * text.length };
  }

  beginPath() {
    this.#path = [];
  }

  moveTo(x, y) {
    this.#path.push({ x, y });
  }

  lineTo(x, y) {
    this.#path.push({ x, y });
  }

  rect(x, y, width, height) {
    this.#path.push({ x, y, width, height });
  }

  roundRect(x, y, width, height) {
    this.rect(x, y, width, height);
  }

  stroke() {
    this.paths.push({ colour: this.strokeStyle, points: this.#path, dash: this.#dash });
  }

  fill() {
    this.paths.push({ colour: this.fillStyle, points: this.#path, filled: true });
  }

  setLineDash(dash) {
    this.#dash = dash;
  }

  save() {}
  restore() {}

  of(colour) {
    return this.rects.filter((rect) => rect.colour === colour);
  }

  pathsOf(colour) {
    return this.paths.filter((path) => path.colour === colour);
  }

  words() {
    return this.texts.map(({ text }) => text);
  }
}
