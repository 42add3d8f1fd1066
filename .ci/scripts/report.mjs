// The counts of a vitest JSON report. As a program: prints them as the line CI looks for.
//
//   node .ci/scripts/report.mjs <report.json>
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

/** A file that failed although none of its tests did (it could not be loaded, a hook threw) counts as one failure. */
export function countTests(file) {
  const report = JSON.parse(readFileSync(file, "utf8"));
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((result) => result.status === "failed"),
  );
  return { passed: report.numPassedTests, failed: report.numFailedTests + broken.length };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { passed, failed } = countTests(process.argv[2]);
  console.log(`\n${passed} passed, ${failed} failed`);
}
