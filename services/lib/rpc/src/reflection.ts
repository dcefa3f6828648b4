// SPDX-License-Identifier: Apache-2.0
/** What reflection needs to know, from the descriptors that the generated code carries: no .proto file at run time. */
import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { PackageDefinition } from '@grpc/proto-loader';

const withDependencies = (file: DescFile, into: Map<string, Buffer>): void => {
  if (into.has(file.name)) return;
  into.set(file.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  for (const dependency of file.dependencies) withDependencies(dependency, into);
};

/** Only `fileDescriptorProtos` of each entry is read by the reflection service. */
export const reflectionPackage = (services: readonly DescService[]): PackageDefinition => {
  const files = new Map<string, Buffer>();
  for (const { file } of services) withDependencies(file, files);
  return { weir: { fileDescriptorProtos: [...files.values()] } } as unknown as PackageDefinition;
};
