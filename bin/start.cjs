'use strict';
// Apart from the version check, since old Nodes refuse a file that has import() in it before they run a line of it.
module.exports = name =>
  import(`../dist/${name}.js`).then(
    ({main}) => main(),
    error => {
      if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
      console.error(
        `coracle is not built: run "npm run build" in ${require('node:path').dirname(__dirname)}`,
      );
      process.exitCode = 1;
    },
  );
