#!/bin/sh
# Keeps a throw-away PostgreSQL cluster for as long as somebody needs it: makes it, starts it, prints "ready", waits on
# its standard input, stops it and removes its folder. One process does all of that, so that nothing is left behind
# whenever and however its user dies.
#
#   postgres.sh BIN ROOT WAIT [NAME=VALUE]...
#
# BIN   the folder of initdb, pg_ctl and postgres
# ROOT  an empty folder of the user this runs as; takes data, log and socket, and is removed at the end
# WAIT  what stands on standard input. "pipe": the user holds its other end, and is gone when it closes.
#       "lock": a file of which every user holds a shared lock; the last is gone when it can be locked alone. The cluster
#       then waits a few seconds for another: tests come and go, each in a process of its own.
# NAME=VALUE  a line for postgresql.conf, later ones win
set -eu
bin=$1 root=$2 wait=$3
shift 3

# A terminal's Ctrl-C is for the user; what ends this is that the user ends.
trap '' INT HUP PIPE

finish() {
  trap - EXIT
  if [ -s "$root/data/postmaster.pid" ]; then
    read -r pid <"$root/data/postmaster.pid"
    kill -CONT "$pid" || true # somebody may have stopped it
    "$bin/pg_ctl" -D "$root/data" -m immediate -w -t 20 stop </dev/null >&2 || kill -KILL "$pid" || true
  fi
  cd /
  rm -rf "$root"
}
trap finish EXIT
trap 'exit 1' TERM

cd "$root"
if [ "$wait" = lock ]; then
  command -v flock >&2 # part of util-linux
fi
"$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale=C --no-sync </dev/null >&2
{
  echo "listen_addresses = ''"
  echo "unix_socket_directories = '$root'"
  for setting in "$@"; do
    echo "$setting"
  done
} >>data/postgresql.conf
"$bin/pg_ctl" -D data -l log -w -t 60 start </dev/null >&2
echo ready
exec >/dev/null

case $wait in
pipe)
  cat >/dev/null
  ;;
lock)
  while
    flock -x 0
    flock -u 0
    sleep 3
    ! flock -n -x 0
  do :; done
  ;;
esac
