// SPDX-License-Identifier: Apache-2.0
/**
 * Configuration is signed by the control plane, because the broker is not trusted: whoever owns it can withhold
 * documents, but neither make nor change nor rename one. The signature covers the serialized document, which names
 * its own subject, publisher, epoch and revision; who may publish what is checked here too.
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type WeirError, weirError } from '@weir/errors';
import {
  type ConfigDocument,
  ConfigDocumentSchema,
  type SignedConfig,
  SignedConfigSchema,
} from '@weir/proto/weir/bus/v1/config_pb.js';
import { keysOf, publicKeyOf } from './keys.ts';
import { PUBLISHER_OF, parseConfigSubject, subjects } from './subjects.ts';

export interface Signer {
  /** Public nkey. */
  readonly key: string;
  /** SignedConfig over a serialized ConfigDocument. */
  sign(document: Uint8Array): Uint8Array;
}

const SIGNATURE_BYTES = 64;

export const createSigner = (seed: string): Signer => {
  const { publicKey, privateKey } = keysOf(seed);
  return {
    key: publicKey,
    sign: (document) =>
      toBinary(
        SignedConfigSchema,
        create(SignedConfigSchema, {
          signed: document,
          signature: sign(null, document, privateKey),
          signer: publicKey,
        }),
      ),
  };
};

export const signDocument = (signer: Signer, document: MessageInitShape<typeof ConfigDocumentSchema>): Uint8Array =>
  signer.sign(toBinary(ConfigDocumentSchema, create(ConfigDocumentSchema, document)));

const keyCache = new Map<string, KeyObject>();

const keyObject = (nkey: string): KeyObject => {
  let key = keyCache.get(nkey);
  if (key === undefined) {
    key = publicKeyOf(nkey);
    keyCache.set(nkey, key);
  }
  return key;
};

const refused = (subject: string, why: string, cause?: unknown): WeirError =>
  weirError('FORBIDDEN', `refused a document on ${subject}: ${why}`, {
    field: subject,
    fix: 'publish it through the control plane, whose key is in WEIR_TRUSTED_SIGNERS',
    cause,
  });

/** The document may stand on this subject: kind of body and publisher fit. */
const checkPlace = (document: ConfigDocument, subject: string): void => {
  const heartbeat = subjects.cfgHeartbeat.parse(subject);
  if (heartbeat !== undefined) {
    if (document.body.case !== 'heartbeat' || document.publisher !== heartbeat.publisher) {
      throw refused(subject, 'it is not a heartbeat of that publisher');
    }
    return;
  }
  const place = parseConfigSubject(subject);
  if (place === undefined) throw refused(subject, 'the subject is not one of configuration');
  if (document.body.case !== undefined && document.body.case !== place.kind) {
    throw refused(subject, `it holds a ${document.body.case}, not a ${place.kind}`);
  }
  if (document.publisher !== PUBLISHER_OF[place.kind]) {
    throw refused(subject, `${JSON.stringify(document.publisher)} may not publish a ${place.kind}`);
  }
};

interface Envelope {
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly signer: string;
}

/** Wire tags of SignedConfig's fields, in their order: number << 3 | length-delimited. */
const ENVELOPE_TAGS = [0x0a, 0x12, 0x1a] as const;

/**
 * The three fields as `toBinary` writes them, without copies; undefined for any other spelling. A host opens an
 * envelope for every change of the whole fleet, and decoding, encoding and comparing cost a third of the signature.
 */
const readEnvelope = (bytes: Uint8Array): Envelope | undefined => {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const tag of ENVELOPE_TAGS) {
    if (bytes[at++] !== tag) return undefined;
    let length = 0;
    let last = 0x80;
    for (let shift = 0; last >= 0x80; shift += 7) {
      last = bytes[at++] ?? 0;
      length += (last & 0x7f) * 2 ** shift;
      // Three bytes tell 2 MiB, more than a message may have; a last byte of 0 has a shorter spelling.
      if (shift > 14 || last === 0) return undefined;
    }
    if (at + length > bytes.length) return undefined;
    parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  const [signed, signature, signer] = parts;
  if (at !== bytes.length || !signed || !signature || !signer?.every((byte) => byte < 0x80)) return undefined;
  return { signed, signature, signer: Buffer.from(signer.buffer, signer.byteOffset, signer.length).toString('latin1') };
};

/** The same of any envelope, and what is wrong with one. */
const decodeEnvelope = (bytes: Uint8Array, subject: string): Envelope => {
  let envelope: SignedConfig;
  try {
    envelope = fromBinary(SignedConfigSchema, bytes);
  } catch (cause) {
    throw refused(subject, 'it is not a signed envelope', cause);
  }
  // One content, one spelling: bytes that decode but were not written so were changed on their way.
  if (Buffer.compare(toBinary(SignedConfigSchema, envelope), bytes) !== 0) {
    throw refused(subject, 'its envelope was changed');
  }
  return envelope;
};

/** The document in `bytes`. Throws FORBIDDEN unless a trusted key signed it for exactly this subject. */
export const verifySigned = (
  bytes: Uint8Array,
  trustedKeys: readonly string[],
  expectedSubject: string,
): ConfigDocument => {
  const envelope = readEnvelope(bytes) ?? decodeEnvelope(bytes, expectedSubject);
  if (envelope.signature.length !== SIGNATURE_BYTES) throw refused(expectedSubject, 'it is not signed');
  if (!trustedKeys.includes(envelope.signer)) throw refused(expectedSubject, 'its signer is not trusted');
  if (!verify(null, envelope.signed, keyObject(envelope.signer), envelope.signature)) {
    throw refused(expectedSubject, 'its signature is wrong');
  }
  const document = fromBinary(ConfigDocumentSchema, envelope.signed);
  if (document.subject !== expectedSubject) {
    throw refused(expectedSubject, `it was signed for ${JSON.stringify(document.subject)}`);
  }
  checkPlace(document, expectedSubject);
  return document;
};

export type Verify = typeof verifySigned;
