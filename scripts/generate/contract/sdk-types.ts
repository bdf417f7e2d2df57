type Schema = Readonly<Record<string, unknown>>;

const isSchema = (value: unknown): value is Schema => typeof value === "object" && value !== null;

const key = (name: string): string => (/^[A-Za-z_]\w*$/.test(name) ? name : JSON.stringify(name));

const objectType = (schema: Schema, indent: string): string => {
  const properties = isSchema(schema.properties) ? Object.entries(schema.properties) : [];
  if (properties.length === 0) {
    return isSchema(schema.additionalProperties)
      ? `Record<string, ${typeOf(schema.additionalProperties, indent)}>`
      : "Record<string, unknown>";
  }
  const required = Array.isArray(schema.required) ? schema.required : [];
  const inner = `${indent}  `;
  const lines = properties.map(([name, property]) => {
    const field = isSchema(property) ? property : {};
    const comment = typeof field.description === "string" ? `${inner}/** ${field.description} */\n` : "";
    return `${comment}${inner}${key(name)}${required.includes(name) ? "" : "?"}: ${typeOf(field, inner)};\n`;
  });
  return `{\n${lines.join("")}${indent}}`;
};

/** TypeScript for a JSON schema, as far as the table uses them. */
const typeOf = (schema: Schema, indent: string): string => {
  if (typeof schema.$ref === "string") return schema.$ref.split("/").at(-1) ?? "unknown";
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (Array.isArray(schema.anyOf)) return schema.anyOf.map((option) => typeOf(option, indent)).join(" | ");
  if (schema.type === "string" || schema.type === "boolean") return schema.type;
  if (schema.type === "integer" || schema.type === "number") return "number";
  if (schema.type === "array") {
    const items = isSchema(schema.items) ? typeOf(schema.items, indent) : "unknown";
    return items.includes(" | ") ? `(${items})[]` : `${items}[]`;
  }
  return schema.type === "object" ? objectType(schema, indent) : "unknown";
};

/** The SDK's wire types: every named schema of the document, without anything to import. */
export const sdkTypes = (document: Readonly<Record<string, unknown>>): string => {
  const { schemas } = document.components as { readonly schemas: Readonly<Record<string, Schema>> };
  const types = Object.entries(schemas).map(([name, schema]) => {
    const comment = typeof schema.description === "string" ? `/** ${schema.description} */\n` : "";
    const text = typeOf(schema, "");
    return text.startsWith("{")
      ? `${comment}export interface ${name} ${text}\n`
      : `${comment}export type ${name} = ${text};\n`;
  });
  return `// Generated from the operation table by npm run generate; edit the table instead.\n\n${types.join("\n")}`;
};
