#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes docs/images/masks.jpg anew: four photographs of BSDS (rows); columns: the photo, a mask of each random family (brush, box, ellipse,
# noise, grid), the regions that people drew and a mask of them, the regions of clustered DINO tokens and a mask of them.
#   docs/images/make_masks.sh FOLDER [BUILD=build/release]      FOLDER has photos/bsds-test/*.jpg and segments/bsds-test/*.png
set -eu
here=$(dirname "$0")
[ $# -ge 1 ] || { echo "make_masks: expected FOLDER [BUILD]" >&2; exit 2; }
FINPERCEP_MASK_SHEET=$here/masks.jpg FINPERCEP_MASK_DATA=$1 "${2:-$here/../../build/release}/src/finpercep/fgr/fgr_test" --no-skip --test-case='sheet of masks*'
