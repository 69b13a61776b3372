/** A wire form of the service, as a metric label and log field. */
export type DialectName = "msc3575" | "simplified-msc3575" | "v4";
