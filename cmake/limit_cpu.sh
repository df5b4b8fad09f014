#!/bin/sh
# limit_cpu.sh SECONDS COMMAND...: runs the command; a process of it that takes more processor time
# than that is killed. Keeps the compilation of one CUDA source short, whatever else the machine
# does.
seconds=$1
shift
ulimit -t "$seconds"
exec "$@"
