import { z } from "zod";
import { configSchema, type KeyDocumentation, keyDocumentation } from "./schema.ts";
import { typeNames } from "./values.ts";

/** One key or section of the configuration, as the documentation and the loaders need it. */
export interface ConfigKey {
  /** Dotted, from the top; `[]` stands for the items of a list: `listeners[].port`. */
  readonly path: string;
  readonly kind: "section" | "list" | "value";
  /** For example `duration`; of a list the type of its items. */
  readonly typeName: string;
  /** An environment variable's text is the value itself and is not read as YAML. */
  readonly isText: boolean;
  /** Neither given nor defaulted, the configuration is refused. */
  readonly isRequired: boolean;
  readonly documentation: KeyDocumentation;
}

/** All keys in the order of the schema; a section or a list of maps stands before its own keys. */
export const configKeys: readonly ConfigKey[] = keysOf(configSchema, "");

function keysOf(schema: z.ZodObject, prefix: string): ConfigKey[] {
  return Object.entries(schema.shape).flatMap(([name, type]) => {
    const path = `${prefix}${name}`;
    const inner = unwrap(type);
    const key = describeKey(path, type, inner);
    if (inner instanceof z.ZodObject) return [key, ...keysOf(inner, `${path}.`)];
    const item = inner instanceof z.ZodArray ? inner.element : undefined;
    return item instanceof z.ZodObject ? [key, ...keysOf(item, `${path}[].`)] : [key];
  });
}

function describeKey(path: string, type: z.core.$ZodType, inner: z.core.$ZodType): ConfigKey {
  const documentation = keyDocumentation.get(type);
  if (documentation === undefined) throw new Error(`configuration key without documentation: ${path}`);
  const isList = inner instanceof z.ZodArray;
  const named = isList ? inner.element : inner;
  return {
    path,
    kind: inner instanceof z.ZodObject ? "section" : isList ? "list" : "value",
    typeName: typeNames.get(named)?.name ?? "map",
    isText: !isList && isTextual(inner),
    isRequired: type === inner && !(inner instanceof z.ZodObject),
    documentation,
  };
}

/** Takes off what only says that a key may be absent. */
function unwrap(type: z.core.$ZodType): z.core.$ZodType {
  return type instanceof z.ZodOptional || type instanceof z.ZodPrefault ? unwrap(type.unwrap()) : type;
}

function isTextual(type: z.core.$ZodType): boolean {
  if (type instanceof z.ZodPipe) return isTextual(type.in);
  return type instanceof z.ZodString || type instanceof z.ZodEnum;
}
