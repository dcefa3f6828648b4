// SPDX-License-Identifier: Apache-2.0
/**
 * Settings in the shape of REST (snake_case, enum values as lower-case words) to messages of weir.bus.v1 and back. Both
 * have the same fields, so that documents and gRPC need no second description of them.
 */
import {
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  toJson,
} from '@bufbuild/protobuf';

const enumFields = (schema: DescMessage) => schema.fields.filter((field) => field.fieldKind === 'enum');

const wordOf = (localName: string): string => localName.toLowerCase().replaceAll('_', '-');
const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Of a message and of those in it: each enum changed by `change`. */
const withEnums = (
  schema: DescMessage,
  settings: JsonObject,
  change: (field: ReturnType<typeof enumFields>[number], value: JsonValue | undefined) => string | undefined,
): JsonObject => {
  const json = { ...settings };
  for (const field of enumFields(schema)) {
    const value = change(field, json[field.name]);
    if (value === undefined) delete json[field.name];
    else json[field.name] = value;
  }
  for (const field of schema.fields) {
    const inner = json[field.name];
    if (field.fieldKind === 'message' && isObject(inner)) json[field.name] = withEnums(field.message, inner, change);
  }
  return json;
};

const spoken = (schema: DescMessage, settings: JsonObject): JsonObject =>
  withEnums(
    schema,
    settings,
    ({ enum: { values } }, word) => values.find(({ localName }) => wordOf(localName) === word)?.name,
  );

const written = (schema: DescMessage, json: JsonObject): JsonObject =>
  withEnums(schema, json, ({ enum: { values } }, name) => {
    const value = values.find((one) => one.name === name);
    return value === undefined || value.number === 0 ? undefined : wordOf(value.localName);
  });

export const messageOf = <Desc extends DescMessage>(schema: Desc, settings: object): MessageShape<Desc> =>
  fromJson(schema, spoken(schema, settings as JsonObject));

/** Everything that the message can say, zeros too; an enum that says nothing is left out. */
export const settingsOf = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Record<string, unknown> =>
  written(schema, toJson(schema, message, { useProtoFieldName: true, alwaysEmitImplicit: true }) as JsonObject);
