// Maven: its local repository.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Ecosystem, run } from "./ecosystem.ts";

const before = [
  ["com.google.guava", "guava", "32.1.2-jre"],
  ["com.fasterxml.jackson.core", "jackson-databind", "2.15.2"],
  ["org.apache.commons", "commons-lang3", "3.13.0"],
  ["org.apache.httpcomponents.client5", "httpclient5", "5.2.1"],
  ["org.springframework", "spring-webmvc", "6.0.12"],
  ["org.hibernate.orm", "hibernate-core", "6.3.0.Final"],
  ["org.apache.lucene", "lucene-core", "9.7.0"],
  ["io.netty", "netty-all", "4.1.98.Final"],
  ["ch.qos.logback", "logback-classic", "1.4.11"],
  ["org.postgresql", "postgresql", "42.6.0"],
] as const;
const newer: Readonly<Record<string, string>> = {
  guava: "33.0.0-jre",
  "jackson-databind": "2.16.1",
  "commons-lang3": "3.14.0",
};

const CODE = `package bench;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.common.collect.ImmutableList;
public class Main {
  public static void main(String[] args) throws Exception {
    System.out.println(new ObjectMapper().writeValueAsString(ImmutableList.of("a", "b")));
  }
}
`;

function pomOf(updated: boolean): string {
  const dependencies = before.map(([group, name, version]) => {
    const wanted = updated ? (newer[name] ?? version) : version;
    return `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${wanted}</version></dependency>`;
  });
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>bench</groupId><artifactId>bench</artifactId><version>1</version>
<properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
<project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>
<dependencies>${dependencies.join("\n")}</dependencies></project>
`;
}

export const maven: Ecosystem = {
  id: "E2",
  name: "Maven, local repository",
  program: "mvn",
  outputs: ["target"],
  write: async (project, _, updated) => {
    const sources = path.join(project, "src/main/java/bench");
    await mkdir(sources, { recursive: true });
    await writeFile(path.join(sources, "Main.java"), CODE);
    await writeFile(path.join(project, "pom.xml"), pomOf(updated));
  },
  build: async (project, cache) => {
    // --strict-checksums: what does not have its checksum fails the build.
    const args = [
      "-B",
      "-q",
      "--strict-checksums",
      `-Dmaven.repo.local=${path.join(cache, "m2")}`,
      "package",
    ];
    await run(project, ["mvn", ...args]);
  },
};
