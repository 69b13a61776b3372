/** The text of a key whose bytes between the quotes are `bytes[from..to)` of valid JSON. */
export function keyText(bytes: Buffer, from: number, to: number): string {
  const text = bytes.toString("utf8", from, to);
  if (!text.includes("\\")) return text;
  const decoded: string = JSON.parse(`"${text}"`);
  return decoded;
}
