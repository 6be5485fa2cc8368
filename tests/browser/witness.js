/**
 * What a test sees of a port: `witness.log` of what the gateway said and the player did,
 * each with the time of the wall clock (s), and `witness.sound()`, everything that was played.
 *
 * The sound is recorded by a worklet of its own, connected to what is heard; blocks carry
 * the frame they began at, so that a gap in the playing cannot hide.
 */
async (portId) => {
  const port = globalThis[Symbol.for("rtnb")].ports.get(portId);
  const witness = (globalThis.witness = { port, log: [], blocks: [] });
  const wall = () => (performance.timeOrigin + performance.now()) / 1000;
  const note = (type, facts) => witness.log.push({ ...facts, type, at: wall() });
  for (const type of ["anchor", "ended", "flushed"]) port.on(type, (facts) => note(type, facts));
  port.on("gateway", ({ message, time }) => {
    if (!["probability", "mic"].includes(message.type)) note(message.type, { ...message, time });
  });

  const recorder = `registerProcessor("witness", class extends AudioWorkletProcessor {
    process([[block]]) {
      if (block?.some(Boolean)) this.port.postMessage({ frame: currentFrame, block: block.slice() });
      return true;
    }
  });`;
  const record = async (node) => {
    const url = URL.createObjectURL(new Blob([recorder], { type: "text/javascript" }));
    await node.context.audioWorklet.addModule(url);
    const options = { numberOfInputs: 1, numberOfOutputs: 0 };
    witness.node = new AudioWorkletNode(node.context, "witness", options);
    witness.node.port.onmessage = ({ data }) => witness.blocks.push(data);
    node.connect(witness.node);
  };
  const waiting = setInterval(() => {
    if (!port.output) return;
    clearInterval(waiting);
    record(port.output);
  }, 20);

  witness.sound = () => {
    const first = witness.blocks[0].frame;
    const last = witness.blocks.at(-1);
    const whole = new Float32Array(last.frame + last.block.length - first);
    for (const { frame, block } of witness.blocks) whole.set(block, frame - first);
    const bytes = new Uint8Array(whole.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192) {
      text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    }
    return { first, rate: port.context.sampleRate, data: btoa(text) };
  };
};
