#!/usr/bin/env bash
# The Debian packages that the tests need. Nothing is installed where all are there.
set -eu
declare -A needed=([chromium]=chromium [docker-compose]=docker-compose [setpriv]=util-linux)
missing=()
for program in "${!needed[@]}"; do
  command -v "$program" >/dev/null 2>&1 || missing+=("${needed[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" != 0 ]; then
  echo "missing Debian packages: ${missing[*]}; run 'sudo make system' and try again" >&2
  exit 2
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
