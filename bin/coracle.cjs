#!/usr/bin/env node
// In the syntax of old Nodes, so that they say what is needed instead of a SyntaxError.
'use strict';
var version = process.versions.node.split('.');
if (Number(version[0]) < 20 || (Number(version[0]) === 20 && Number(version[1]) < 19)) {
  console.error(
    'coracle needs Node 20.19 or newer; this is v' +
      process.versions.node +
      '. See https://nodejs.org/en/download',
  );
  process.exitCode = 1;
} else {
  require('./start.cjs').start('cli');
}
