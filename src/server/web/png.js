// The settings that diffit writes into a PNG: a text chunk with the key "diffit" that holds JSON.

function textChunk(type, bytes) {
  const end = bytes.indexOf(0);
  const key = new TextDecoder("latin1").decode(bytes.subarray(0, end));
  if (type === "tEXt") return [key, new TextDecoder("latin1").decode(bytes.subarray(end + 1))];
  // iTXt: compression flag and method, language, translated key, text
  if (bytes[end + 1] !== 0) return [key, ""];
  let from = end + 3;
  for (let i = 0; i < 2; ++i) from = bytes.indexOf(0, from) + 1;
  return [key, new TextDecoder().decode(bytes.subarray(from))];
}

/** The settings in a file; an Error where there are none. */
export async function settingsOf(file) {
  if (file.size > 64 << 20) throw new Error(`${file.name}: larger than 64 MiB`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  if (bytes.length < 8 || view.getUint32(0) !== 0x89504e47) throw new Error(`${file.name} is not a PNG`);
  for (let at = 8; at + 12 <= bytes.length;) {
    const size = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + size > bytes.length || type === "IEND") break;
    if (type === "tEXt" || type === "iTXt") {
      const [key, text] = textChunk(type, bytes.subarray(at + 8, at + 8 + size));
      if (key === "diffit") {
        try {
          return JSON.parse(text);
        } catch {
          throw new Error(`${file.name}: its settings are damaged`);
        }
      }
    }
    at += 12 + size;
  }
  throw new Error(`${file.name} holds no settings of diffit`);
}
