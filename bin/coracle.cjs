#!/bin/sh
':' // This line and the next are for sh. Node 20 takes its own --env-file from among the words of a program, too, even from
':' //; exec node -- "$0" "$@" # those of a container, and applies the NODE_OPTIONS in that file to itself. Not behind --.
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
