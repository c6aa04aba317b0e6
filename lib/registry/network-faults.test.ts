import { describe, expect, it } from "vitest";
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

  it("takes a sink's error for none of its own", () => {
    expect(networkFault("it", coded("ENOSPC"))).toBeUndefined();
    expect(networkFault("it", new TypeError("a bug"))).toBeUndefined();
    expect(networkFault("it", "text")).toBeUndefined();
  });
});
