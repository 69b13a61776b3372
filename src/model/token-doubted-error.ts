/** A device's token is not what was last known of it: the homeserver has to be asked whether it is still valid. */
export class TokenDoubtedError extends Error {
  override readonly name = "TokenDoubtedError";

  constructor() {
    super("The token may be valid no longer");
  }
}
