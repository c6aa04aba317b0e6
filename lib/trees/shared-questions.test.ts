import { describe, expect, it } from "vitest";
import { SharedQuestions } from "./shared-questions.ts";

const never = new AbortController().signal;
/** Longer than any test lasts. */
const patient = { sharedMs: 1_000_000 };

/** Questions that are answered when the test says so. */
function openDesk() {
  const asked: PromiseWithResolvers<string>[] = [];
  const ask = async () => {
    const question = Promise.withResolvers<string>();
    asked.push(question);
    return await question.promise;
  };
  return { asked, ask };
}

describe("SharedQuestions.ask()", () => {
  it("asks once for all who ask the same before the answer is here, and again for who comes later", async () => {
    const questions = new SharedQuestions(patient);
    const { asked, ask } = openDesk();
    const all = Array.from({ length: 110 }, () => questions.ask("tag", ask, never));
    expect(asked).toHaveLength(1);
    asked[0]?.resolve("old");
    expect(new Set(await Promise.all(all))).toEqual(new Set(["old"]));
    const later = questions.ask("tag", ask, never);
    expect(asked).toHaveLength(2);
    asked[1]?.resolve("new");
    expect(await later).toBe("new");
  });

  it("keeps questions with different keys apart", async () => {
    const questions = new SharedQuestions(patient);
    const { asked, ask } = openDesk();
    const both = [questions.ask("one", ask, never), questions.ask("two", ask, never)];
    expect(asked).toHaveLength(2);
    asked[0]?.resolve("1");
    asked[1]?.resolve("2");
    expect(await Promise.all(both)).toEqual(["1", "2"]);
  });

  it("shares no failure: each asks on its own then", async () => {
    const questions = new SharedQuestions(patient);
    const { asked, ask } = openDesk();
    const first = questions.ask("tag", ask, never);
    const others = [questions.ask("tag", ask, never), questions.ask("tag", ask, never)];
    asked[0]?.reject(new Error("gone away"));
    await expect(first).rejects.toThrow("gone away");
    while (asked.length < 3) await new Promise(setImmediate);
    asked[1]?.resolve("1");
    asked[2]?.resolve("2");
    expect(await Promise.all(others)).toEqual(["1", "2"]);
  });

  it("does not wait long for another's answer: a registry that is slow is asked by each", async () => {
    const questions = new SharedQuestions({ sharedMs: 0 });
    const { asked, ask } = openDesk();
    const both = [questions.ask("tag", ask, never), questions.ask("tag", ask, never)];
    while (asked.length < 2) await new Promise(setImmediate);
    asked[1]?.resolve("second");
    expect(await both[1]).toBe("second");
    asked[0]?.resolve("first");
    expect(await both[0]).toBe("first");
  });

  it("rejects at once with the reason of who leaves, and leaves the others their answer", async () => {
    const questions = new SharedQuestions(patient);
    const { asked, ask } = openDesk();
    const leaving = new AbortController();
    const first = questions.ask("tag", ask, never);
    const left = questions.ask("tag", ask, leaving.signal);
    const stays = questions.ask("tag", ask, never);
    leaving.abort(new Error("not waiting"));
    await expect(left).rejects.toThrow("not waiting");
    asked[0]?.resolve("answer");
    expect(await Promise.all([first, stays])).toEqual(["answer", "answer"]);
    expect(asked).toHaveLength(1);
  });
});
