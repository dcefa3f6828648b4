#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Keeps baseline.binpb, against which `npm run check` asks buf whether readers of before still understand us: what is added
# goes in by itself, what would break stays out of it. In CI nothing is written; there the committed file must be up to date.
# A break that is meant: remove baseline.binpb, run this, and say why in the commit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

[ "${CI:-}" != true ] || exit 0
[ ! -e baseline.binpb ] || buf breaking --against baseline.binpb || exit 0
made=$(mktemp --suffix=.binpb)
trap 'rm -f "$made"' EXIT
buf build --exclude-source-info -o "$made"
cmp -s "$made" baseline.binpb || cp "$made" baseline.binpb
