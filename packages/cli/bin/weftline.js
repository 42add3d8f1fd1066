#!/usr/bin/env node
// npm links a command at install time only if its file exists, which is before the first build.
import "../dist/bin.js";
