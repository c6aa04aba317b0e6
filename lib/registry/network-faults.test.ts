import { errors } from "undici";
import { describe, expect, it } from "vitest";
import { Failure } from "../core/failure.ts";
import { Fault } from "./fault.ts";
import { networkFault } from "./network-faults.ts";

const coded = (code: string) => Object.assign(new Error(`recorded: ${code}`), { code });

describe("networkFault()", () => {
  it.each([
    ["ECONNREFUSED", "refused the connection", true],
    ["ECONNRESET", "broke the connection off", false],
    ["EPIPE", "broke the connection off", false],
    ["UND_ERR_SOCKET", "broke the connection off", false],
    ["ETIMEDOUT", "did not answer in time", true],
    ["UND_ERR_CONNECT_TIMEOUT", "did not take the connection in time", true],
    ["UND_ERR_HEADERS_TIMEOUT", "did not answer in time", true],
    ["UND_ERR_BODY_TIMEOUT", "stopped in mid-answer", false],
    ["EHOSTUNREACH", "cannot be reached", true],
    ["ENETUNREACH", "cannot be reached", true],
    ["ENOTFOUND", "cannot resolve", true],
    ["EAI_AGAIN", "cannot resolve at the moment", false],
    ["EAI_FAIL", "cannot resolve at the moment", false],
    ["EHOSTDOWN", "cannot be reached", true],
    ["ENETDOWN", "cannot be reached", false],
    ["ECONNABORTED", "broke the connection off", false],
    ["ENOTCONN", "broke the connection off", false],
    ["EPERM", "does not let the plugin", false],
    ["ENOBUFS", "no memory left", false],
    ["EAFNOSUPPORT", 'could not be asked .*"EAFNOSUPPORT"', false],
    ["EINVAL", 'could not be asked .*"EINVAL"', false],
    ["EAI_MEMORY", "could not be asked", false],
    ["Unknown system error -71", "could not be asked", false],
    ["ERR_STREAM_PUSH_AFTER_EOF", "could not be asked", false],
    ["ERR_SOCKET_CLOSED", "could not be asked", false],
    ["UND_ERR_INFO", "could not be asked", false],
    ["EMFILE", "no file descriptors left", false],
    ["ENFILE", "no file descriptors left", false],
    ["EADDRNOTAVAIL", "no ports left", false],
    ["EPROTO", "broke the TLS handshake off", false],
    ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "broke the TLS handshake off", false],
  ])("tells %s as trouble: %s", (code, words, silent) => {
    const fault = networkFault("the registry", coded(code));
    expect(fault?.message).toMatch(new RegExp(`^the registry .*${words}`));
    expect(fault).toMatchObject({
      reason: "unavailable",
      facts: { tries: Number.POSITIVE_INFINITY, silent },
    });
  });

  it.each([
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "no known authority", '"ca"'],
    ["SELF_SIGNED_CERT_IN_CHAIN", "no known authority", '"ca"'],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "no known authority", '"ca"'],
    ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "no known authority", '"ca"'],
    ["CERT_HAS_EXPIRED", "has expired", "renew it"],
    ["CERT_NOT_YET_VALID", "not valid yet", "clock"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "of another host", "name"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "does not speak TLS", "plainHttp"],
    ["ERR_SSL_PACKET_LENGTH_TOO_LONG", "does not speak TLS", "plainHttp"],
    ["INVALID_PURPOSE", '"INVALID_PURPOSE"', "renew it"],
    ["HOSTNAME_MISMATCH", '"HOSTNAME_MISMATCH"', "renew it"],
    ["CERT_CHAIN_TOO_LONG", '"CERT_CHAIN_TOO_LONG"', "renew it"],
    ["UNABLE_TO_GET_CRL", '"UNABLE_TO_GET_CRL"', "renew it"],
    ["UNSPECIFIED", '"UNSPECIFIED"', "renew it"],
    ["ERR_OSSL_PEM_NO_START_LINE", "over TLS", "client certificate"],
    ["ERR_OSSL_X509_KEY_VALUES_MISMATCH", "over TLS", "client certificate"],
  ])("tells %s once, with the remedy", (code, words, help) => {
    const fault = networkFault("the registry", coded(code));
    expect(fault?.message).toContain(words);
    expect(fault?.facts).toMatchObject({ tries: 1, help: expect.stringContaining(help) });
  });

  it("looks into causes, and into the attempts on several addresses", () => {
    const nested = new Error("outer", { cause: coded("ECONNREFUSED") });
    expect(networkFault("it", nested)?.message).toBe("it refused the connection");
    expect(
      networkFault("it", new AggregateError([coded("ECONNREFUSED"), coded("ENETUNREACH")]))?.message,
    ).toBe("it refused the connection");
  });

  it.each([["HPE_INVALID_CONSTANT"], ["ERR_ASSERTION"], ["UND_ERR_RES_CONTENT_LENGTH_MISMATCH"]])(
    "tells %s as what is not HTTP, a few times",
    (code) => {
      const fault = networkFault("the registry", coded(code));
      expect(fault).toMatchObject({ message: "the registry sent what is not HTTP", facts: { tries: 4 } });
    },
  );

  it("takes all of undici's errors for the network's, but for those that tell of a bug", () => {
    const made = Object.entries(errors).map(
      ([name, type]) => [name, Reflect.construct(type, ["x", undefined, {}]) as Error] as const,
    );
    const bugs = made.flatMap(([name, error]) => (networkFault("it", error) === undefined ? [name] : []));
    expect(bugs).toEqual(["WebAssemblyNotSupportedError", "InvalidArgumentError", "NotSupportedError"]);
    expect(made.length).toBeGreaterThan(20);
  });

  it("takes a bug, and what was told already, for none of its own", () => {
    expect(networkFault("it", coded("ERR_INVALID_ARG_TYPE"))).toBeUndefined();
    expect(networkFault("it", new TypeError("a bug"))).toBeUndefined();
    expect(networkFault("it", "text")).toBeUndefined();
    const told = { cause: coded("ECONNRESET") };
    expect(networkFault("it", new Failure("full", "Cannot", told))).toBeUndefined();
    expect(networkFault("it", new Fault("denied", "no", { tries: 1, ...told }))).toBeUndefined();
  });
});
