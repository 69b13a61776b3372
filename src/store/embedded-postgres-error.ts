/** A Postgres of our own cannot be run here. The message is one line and says what mends it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = "EmbeddedPostgresError";
}
