// What was seen

// What to make of it
export { type CheckOptions, checkHistory, type Verdict } from "./history-checker/check-history.js";
export { checkGrowth, type Growth, type GrowthOptions, type Series } from "./history-checker/growth.js";
export { hashOf } from "./history-checker/hash-of.js";
export type * from "./history-checker/history.js";
export { type Recording, type RecordingOptions, recordingStorage } from "./history-checker/recording-storage.js";
export { shapeOf, shapeOfDefinition, shapesOf } from "./history-checker/shape-of.js";
export { finalStateOf, historiesOf, historyOf, type StoredHistory } from "./history-checker/stored-history.js";
export { openWitnessFile, type WitnessFile } from "./history-checker/witness-file.js";
export { parseWitness } from "./history-checker/witness-lines.js";
