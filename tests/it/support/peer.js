// Another user of lock directories: takes and gives back locks by the real proper-lockfile, with the
// times of Claude Code. Commands on standard input: `lock PATH`, `release PATH`, `report`; each is
// answered by `ok`, after a line for every error. A lock that its owner finds broken is an error.
const lockfile = require(process.argv[2]);
const errors = [];

function options(path) {
    return {
        lockfilePath: path,
        realpath: false,
        stale: 60000,
        update: 5000,
        onCompromised: (error) => errors.push(`compromised ${path} ${error.code}`),
    };
}

async function obey(line) {
    const [word, path] = line.split(' ');
    try {
        if (word === 'lock') await lockfile.lock(path, options(path));
        if (word === 'release') await lockfile.unlock(path, options(path));
    } catch (error) {
        errors.push(`${word} ${path} ${error.code}`);
    }
    const said = [...errors.splice(0), 'ok'];
    process.stdout.write(`${said.join('\n')}\n`);
}

let last = Promise.resolve();
require('readline')
    .createInterface({ input: process.stdin })
    .on('line', (line) => {
        last = last.then(() => obey(line));
    });
