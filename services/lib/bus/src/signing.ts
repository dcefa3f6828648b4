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

/** The document in `bytes`. Throws FORBIDDEN unless a trusted key signed it for exactly this subject. */
export const verifySigned = (
  bytes: Uint8Array,
  trustedKeys: readonly string[],
  expectedSubject: string,
): ConfigDocument => {
  let envelope: SignedConfig | undefined;
  try {
    envelope = fromBinary(SignedConfigSchema, bytes);
  } catch (cause) {
    throw refused(expectedSubject, 'it is not a signed envelope', cause);
  }
  // One content, one spelling: bytes that decode but were not written so were changed on their way.
  if (Buffer.compare(toBinary(SignedConfigSchema, envelope), bytes) !== 0) {
    throw refused(expectedSubject, 'its envelope was changed');
  }
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
