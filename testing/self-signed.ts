// Makes a certificate that vouches for itself: valid, expired, or for another host.
import { generateKeyPairSync, sign } from "node:crypto";

export type SelfSigned = { readonly key: string; readonly cert: string };

/** For 127.0.0.1 (or another name), from a day before `notAfter` minus a year until `notAfter`. */
export function makeSelfSigned(notAfter: Date, name = "127.0.0.1"): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const notBefore = new Date(notAfter.getTime() - 366 * 24 * 3_600_000);
  const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
  const subject = sequence(
    der(0x31, sequence(oid("2.5.4.3"), der(0x0c, Buffer.from(`larder test ${name}`)))),
  );
  const address = name.split(".").map(Number);
  const host = address.every(Number.isInteger)
    ? der(0x87, Buffer.from(address))
    : der(0x82, Buffer.from(name));
  const extensions = sequence(
    extension("2.5.29.17", sequence(host)),
    extension("2.5.29.19", sequence(der(0x01, Buffer.from([0xff])))),
  );
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1])),
    algorithm,
    subject,
    sequence(time(notBefore), time(notAfter)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, extensions),
  );
  const signature = der(0x03, Buffer.concat([Buffer.from([0]), sign("sha256", body, privateKey)]));
  const base64 = sequence(body, algorithm, signature).toString("base64").replace(/.{64}/g, "$&\n");
  const cert = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  return { key: privateKey.export({ type: "pkcs8", format: "pem" }), cert };
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Buffer[]) => der(0x30, Buffer.concat(parts));

const extension = (id: string, value: Buffer) => sequence(oid(id), der(0x04, value));

const time = (date: Date) =>
  der(0x18, Buffer.from(`${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`));

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const digits = rest.flatMap((number) => {
    const groups = [number & 0x7f];
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    return groups;
  });
  return der(0x06, Buffer.from([first * 40 + second, ...digits]));
}
