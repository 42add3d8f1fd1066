import { expect } from "vitest";
import { createTestEngine, type TestEngine, type TestEngineOptions } from "../index.js";

const engines: TestEngine[] = [];
const log = { debug() {}, info() {}, warn() {}, error() {} };

/** An engine that {@link stopTestEngines} stops. */
export function testEngine(options: TestEngineOptions): TestEngine {
  const engine = createTestEngine({ log, ...options });
  engines.push(engine);
  return engine;
}

/** For `afterEach`: none of them may leave a timer. */
export async function stopTestEngines(): Promise<void> {
  for (const engine of engines.splice(0)) {
    await engine.stop({ grace: 0 });
    expect(engine.clock.pendingTimers).toBe(0);
  }
}
