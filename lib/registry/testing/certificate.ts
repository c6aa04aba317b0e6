// Certificates that clients refuse, made by openssl for the time of a test.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

export type Certificate = { readonly key: Buffer; readonly cert: Buffer; readonly certFile: string };

/** A self-signed certificate for 127.0.0.1 in `folder`, valid between two times such as `20200101000000Z`. */
export function makeCertificate(
  folder: string,
  name: string,
  valid: { readonly from: string; readonly to: string } = { from: "20200101000000Z", to: "20491231000000Z" },
): Certificate {
  const file = (ending: string) => path.join(folder, `${name}.${ending}`);
  // `openssl req` takes no start and end before 3.4; `openssl ca` always did.
  writeFileSync(file("index"), "");
  writeFileSync(
    file("cnf"),
    `[ca]\ndefault_ca=own\n[own]\ndatabase=${file("index")}\nnew_certs_dir=${folder}\nrand_serial=yes\n` +
      "default_md=sha256\npolicy=any\nx509_extensions=san\n[any]\ncommonName=supplied\n" +
      "[san]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:TRUE\n",
  );
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file("key"));
  openssl("req", "-new", "-key", file("key"), "-subj", "/CN=registry", "-out", file("csr"));
  const signed = ["-in", file("csr"), "-out", file("crt"), "-startdate", valid.from, "-enddate", valid.to];
  openssl("ca", "-batch", "-selfsign", "-notext", "-config", file("cnf"), "-keyfile", file("key"), ...signed);
  return { key: readFileSync(file("key")), cert: readFileSync(file("crt")), certFile: file("crt") };
}

function openssl(...args: readonly string[]): void {
  const ran = spawnSync("openssl", args, { encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`openssl ${args[0]}: ${ran.error?.message ?? ran.stderr}`);
}
