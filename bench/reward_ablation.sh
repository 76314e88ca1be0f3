#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Trains the reward model once for each choice of its ablation and measures each on FGR folders.
#   bench/reward_ablation.sh PROGRAM OUT FGR_DIR..       SEEDS="1 2" VARIANTS="full pixel" SAMPLES=150 SETS="fgr_dirs=[runs/fgr]" bench/reward_ablation.sh ..
# CNNS: the set's sources that without-cnn leaves out. Where SETS has another stage_iters, AT_ONCE has at-once's: "[60,1,1,1,237]" unless said.
# OUT/NAME-SEED is the run, OUT/NAME-SEED.md its tables. A run that is there goes on where it stopped.
set -eu
program=$1 out=$2
shift 2
mkdir -p "$out"

flags_of() {
  case $1 in
    full) ;;
    pixel) echo "--set samples.label_part=pixel" ;;
    feature) echo "--set samples.label_part=feature" ;;
    no-rank) echo "--set losses.rank_weight=0" ;;
    no-align) echo "--set losses.align_weight=0" ;;
    plain-head) echo "--set network.head=plain" ;;
    paper-head) echo "--set network.head=defect" ;;
    at-once) echo "--set stage_iters=${AT_ONCE:-[60,1,1,1,237]}" ;;
    l1-only) echo "--set losses.cross_entropy_weight=0 --set losses.balance=0" ;;
    no-augment) echo "--set samples.zoom=[1,1] --set samples.colour_prob=0 --set samples.variation.prob=0" ;;
    crisp-only) echo "--set fgr_varied=false --set samples.variation.prob=0" ;;
    frozen) echo "--set encoder_lr_ratio=0" ;;
    without-gan) echo "--set fgr_without=[realesrgan]" ;;
    without-cnn) echo "--set fgr_without=[${CNNS:-realesr-anime,srvgg}]" ;;
    without-diffusion) echo "--set fgr_without=[sr-small]" ;;
    dinov2) echo "--set network.encoder=dinov2 --set encoder_lr_ratio=0" ;;
    *) echo "ablation: expected a known variant, found $1" >&2; exit 2 ;;
  esac
}

for seed in ${SEEDS:-1}; do
  for variant in ${VARIANTS:-full pixel feature no-rank no-align plain-head paper-head at-once l1-only no-augment crisp-only frozen dinov2}; do
    run=$out/$variant-$seed
    resume=$([ ! -d "$run" ] || echo --resume)
    flags=$(flags_of "$variant")  # a line of its own: a wrong name ends the script
    # shellcheck disable=SC2046,SC2086  # the flags are words
    "$program" -q train reward -c configs/reward/ablation.yaml -o "$run" $resume --set manual_seed="$seed" ${SETS:-} $flags
    "$program" -q eval --map "$@" --model "$run/checkpoints/reward.safetensors" --samples "${SAMPLES:-0}" --table md > "$run.md.part"
    mv "$run.md.part" "$run.md"
    echo "$variant $seed"
  done
done
