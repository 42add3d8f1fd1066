import type { ArtifactData } from "../contracts/executor.js";
import { show } from "../define/show.js";
import { WeftlineError } from "../errors.js";
import type { ValueLimits } from "../values/codec.js";

const MAX_NAME_LENGTH = 200;

/** @throws {WeftlineError} `ARTIFACT_INVALID` for data that is neither text nor bytes, too large, or without a name. */
export function checkArtifact({ name, contentType, data }: ArtifactData, limits: ValueLimits): void {
  const refuse = (problem: string): WeftlineError =>
    new WeftlineError("ARTIFACT_INVALID", `Cannot keep artifact ${show(name)}: ${problem}.`);
  if (typeof name !== "string" || name === "" || name.length > MAX_NAME_LENGTH) {
    throw refuse(`its name has to be a text of 1 to ${MAX_NAME_LENGTH} characters. Give it one`);
  }
  if (contentType !== undefined && typeof contentType !== "string") {
    throw refuse(`its content type is of type ${typeof contentType}. Write a media type such as "text/csv"`);
  }
  if (typeof data !== "string" && !(data instanceof Uint8Array))
    throw refuse("its data is neither text nor a Uint8Array. Convert it");
  const bytes = Buffer.byteLength(data);
  if (bytes > limits.maxBytes) {
    throw refuse(
      `it has ${bytes} bytes and ${limits.maxBytes} are allowed. Store it elsewhere, or raise limits.maxValueBytes`,
    );
  }
}
