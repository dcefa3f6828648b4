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

export const messageOf = <Desc extends DescMessage>(schema: Desc, settings: object): MessageShape<Desc> => {
  const json = { ...settings } as Record<string, JsonValue>;
  for (const field of enumFields(schema)) {
    const value = field.enum.values.find(({ localName }) => localName.toLowerCase() === json[field.name]);
    if (value === undefined) delete json[field.name];
    else json[field.name] = value.name;
  }
  return fromJson(schema, json);
};

/** Everything that the message can say, zeros too; an enum that says nothing is left out. */
export const settingsOf = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Record<string, unknown> => {
  const json = toJson(schema, message, { useProtoFieldName: true, alwaysEmitImplicit: true }) as JsonObject;
  for (const field of enumFields(schema)) {
    const value = field.enum.values.find(({ name }) => name === json[field.name]);
    if (value === undefined || value.number === 0) delete json[field.name];
    else json[field.name] = value.localName.toLowerCase();
  }
  return json;
};
