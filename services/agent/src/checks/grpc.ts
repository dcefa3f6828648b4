// SPDX-License-Identifier: Apache-2.0
/** grpc.health.v1.Health/Check, by TLS or not, on a connection of its own. Loaded when a check needs it. */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { isIp } from '@weir/net';
import type { HealthCheck } from '@weir/proto/weir/bus/v1/config_pb.js';
import { failed, noAnswer, OK, type Outcome, type Place } from './outcome.ts';

const PATH = '/grpc.health.v1.Health/Check';
const SERVING = 1;
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
/** Of TLS that did not come about, the other side had its part. */
const SPOKE = /certificate|SSL|TLS|ECONNRESET/i;
const OPTIONS = { 'grpc.enable_http_proxy': 0, 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0 };

/** HealthCheckRequest { string service = 1; } */
const encode = (service: string): Buffer => {
  const writer = new BinaryWriter();
  if (service !== '') writer.tag(1, WireType.LengthDelimited).string(service);
  return Buffer.from(writer.finish());
};

/** HealthCheckResponse { ServingStatus status = 1; } */
const decode = (bytes: Buffer): number => {
  const reader = new BinaryReader(bytes);
  let found = 0;
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.Varint) found = reader.int32();
    else reader.skip(type, field);
  }
  return found;
};

const failureOf = ({ code, details }: ServiceError, timeoutMs: number): Outcome => {
  if (code === status.DEADLINE_EXCEEDED) return noAnswer(timeoutMs);
  if (code !== status.UNAVAILABLE) return failed(`gRPC ${status[code] ?? code}: ${details}`, true);
  const refused = details.includes('ECONNREFUSED');
  return failed(refused ? 'ECONNREFUSED' : details, refused || SPOKE.test(details));
};

export const probeGrpc = (
  { address, port, timeoutMs }: Place,
  { grpcService, tls, insecure, host }: Pick<HealthCheck, 'grpcService' | 'tls' | 'insecure' | 'host'>,
): Promise<Outcome> =>
  new Promise((resolve) => {
    const target = address.includes(':') ? `ipv6:[${address}]:${port}` : `ipv4:${address}:${port}`;
    const name = host.replace(/:\d+$/, '');
    const named = tls && name !== '' && !isIp(name) ? { 'grpc.ssl_target_name_override': name } : {};
    const channel = tls
      ? credentials.createSsl(null, null, null, { rejectUnauthorized: !insecure })
      : credentials.createInsecure();
    const client = new Client(target, channel, { ...OPTIONS, ...named });
    const deadline = Date.now() + timeoutMs;
    client.makeUnaryRequest(PATH, encode, decode, grpcService, { deadline }, (error, answer) => {
      client.close();
      if (error) return resolve(failureOf(error, timeoutMs));
      resolve(answer === SERVING ? OK : failed(STATUSES[answer ?? 0] ?? `status ${answer}`, true));
    });
  });
