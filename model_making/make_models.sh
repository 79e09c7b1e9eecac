#!/usr/bin/env bash
# Make the shipped lesion models from nothing: anatomies, heads, trainings, networks that leave a
# subject out. Heads and trainings go on where they were stopped; a day and more on two cores, most of it the
# later stages on CT, which take minutes on a GPU (DEVICE=cuda).
#
#     model_making/make_models.sh BIDS_REAL
#
# Models are written to training/models; what is measured on them is in docs/experiments.md, and
# the thresholds below come from there.
set -euo pipefail
cd "$(dirname "$0")/.."
bids_real=$1
python=${PYTHON:-.venv/bin/python}
make=($python -m model_making.train_shipped)
heads=training/heads
export OMP_NUM_THREADS=1 ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1
at_once() { xargs --max-procs="${PROCESSES:-2}" --delimiter='\n' --replace bash -c '{}'; }

$python -m model_making.make_anatomies "$bids_real" training/anatomies-4 \
    --participant-label lj07 lj19 ll01 ll03
$python -m model_making.make_anatomies "$bids_real" training/anatomies \
    --participant-label lj07 lj19 ll01 ll03 ll04 ll19
$python -m model_making.make_anatomies "$bids_real" training/test-anatomies \
    --participant-label ll12 ll20 --for-tests

# The first 144 heads were made before two of the anatomies were.
at_once <<END
${make[*]} heads $heads --seeds 0 60 --anatomies training/anatomies-4
${make[*]} heads $heads --seeds 60 120 --anatomies training/anatomies-4
${make[*]} heads $heads --seeds 500 524 --lesion-ml 40 110 --anatomies training/anatomies-4
${make[*]} heads $heads --seeds 120 168 --anatomies training/anatomies
${make[*]} heads $heads --seeds 524 532 --lesion-ml 40 110 --anatomies training/anatomies
${make[*]} real $heads --bids-dir $bids_real
END

ct="--modality ct --steps 4000 --context 1 --loss dice+cross-entropy --device ${DEVICE:-cpu}"
flair="--modality flair --steps 2000 --context 1 --loss dice+cross-entropy"
at_once <<END
${make[*]} train $heads training/ct4-0 $ct --member 0
${make[*]} train $heads training/ct4-1 $ct --member 1
${make[*]} train $heads training/ct4-2 $ct --member 2
${make[*]} train $heads training/ct4-3 $ct --member 3
${make[*]} train $heads training/ct4-4 $ct --member 4
${make[*]} train $heads training/flair3-0 $flair --member 0
${make[*]} train $heads training/flair3-1 $flair --member 1
END

${make[*]} export training/ct4-{0,1,2,3,4} --to training/models --name ct-sim4 --modality ct \
    --threshold 0.5 --flip
${make[*]} export training/flair3-{0,1} --to training/models --name flair-sim3 --modality flair \
    --flip

# The second stage: other heads for all; on FLAIR also copies of them with the fine structure of real
# ones, contrast and sharpness being varied; on CT five networks more.
heads=training/heads5
at_once <<END
${make[*]} heads $heads --seeds 168 228 --anatomies training/anatomies
${make[*]} heads $heads --seeds 228 288 --anatomies training/anatomies
${make[*]} heads $heads --seeds 532 556 --lesion-ml 40 110 --anatomies training/anatomies
${make[*]} real $heads --bids-dir $bids_real
END
begun="$ct --begin-from training/models/ct-sim4"
fresh=${ct/4000/5000}
at_once <<END
${make[*]} train $heads training/ct5-0 $begun --member 0
${make[*]} train $heads training/ct5-1 $begun --member 1
${make[*]} train $heads training/ct5-2 $begun --member 2
${make[*]} train $heads training/ct5-3 $begun --member 3
${make[*]} train $heads training/ct5-4 $begun --member 4
${make[*]} train $heads training/ct5-5 $fresh --member 5
${make[*]} train $heads training/ct5-6 $fresh --member 6
${make[*]} train $heads training/ct5-7 $fresh --member 7
${make[*]} train $heads training/ct5-8 $fresh --member 8
${make[*]} train $heads training/ct5-9 $fresh --member 9
END
${make[*]} export training/ct5-{0,1,2,3,4,5,6,7,8,9} --to training/models --name ct-sim5 \
    --modality ct --threshold 0.5

# The third stage, on CT: all ten go on with other heads.
at_once <<END
${make[*]} heads training/heads6 --seeds 288 376 --anatomies training/anatomies
${make[*]} heads training/heads6 --seeds 556 568 --lesion-ml 40 110 --anatomies training/anatomies
END
third="${ct/4000/3000} --begin-from training/models/ct-sim5"
for member in 0 1 2 3 4 5 6 7 8 9; do
    echo "${make[*]} train training/heads6 training/ct6-$member $third --member $member"
done | at_once
${make[*]} export training/ct6-{0,1,2,3,4,5,6,7,8,9} --to training/models --name ct-sim6 \
    --modality ct --threshold 0.5

# The fourth stage, on CT: a little further on heads with less and with more noise.
noise="--ct-noise 0.7 2.5 --anatomies training/anatomies"
at_once <<END
${make[*]} heads training/heads7 --seeds 376 424 $noise
${make[*]} heads training/heads7 --seeds 568 580 --lesion-ml 40 110 $noise
END
fourth="${ct/4000/400} --begin-from training/models/ct-sim6"
for member in 0 1 2 3 4 5 6 7 8 9; do
    echo "${make[*]} train training/heads7 training/ct7-$member $fourth --member $member"
done | at_once
${make[*]} export training/ct7-{0,1,2,3,4,5,6,7,8,9} --to training/models --name ct-sim7 \
    --modality ct --threshold 0.55 --mean-with training/models/ct-sim6 --island-share 0.35

# FLAIR networks that leave subjects out, all stages, two of each as in the shipped model; these are
# measured and not shipped.
left_out=("lj19 mb104252" "lj07 mb105074" "mb105465 mb105911")
more="--modality flair --steps 800 --context 1 --loss dice+cross-entropy --augment contrasts --copies"
longer=${more/800/1200}
subjects() { printf 'sub-%s ' "$@"; }
without() { echo "without-${1// /-}"; }
train_without() { # stage, options, model that they begin from: of the stage before
    for pair in "${left_out[@]}"; do
        for member in 0 1; do
            echo "${make[*]} train $heads training/$1/$(without "$pair")-$member $2 --member $member" \
                "--leave-out $(subjects $pair) ${3:+--begin-from training/$3-models/$(without "$pair")}"
        done
    done | at_once
    for pair in "${left_out[@]}"; do
        ${make[*]} export training/$1/$(without "$pair")-{0,1} --to training/$1-models \
            --name $(without "$pair") --modality flair --flip
    done
}
train_without loo3 "$flair"
${make[*]} textures $heads
train_without loo4 "$more" loo3
train_without loo5 "$longer" loo4

at_once <<END
${make[*]} train $heads training/flair4-0 $more --begin-from training/models/flair-sim3 --member 0
${make[*]} train $heads training/flair4-1 $more --begin-from training/models/flair-sim3 --member 1
END
${make[*]} export training/flair4-{0,1} --to training/models --name flair-sim4 --modality flair \
    --flip
at_once <<END
${make[*]} train $heads training/flair5-0 $longer --begin-from training/models/flair-sim4 --member 0
${make[*]} train $heads training/flair5-1 $longer --begin-from training/models/flair-sim4 --member 1
END
${make[*]} export training/flair5-{0,1} --to training/models --name flair-sim5 --modality flair \
    --flip --threshold 0.6 --island-share 0.35

# Models of three classes, on version 3 of the simulation (the stages above were made with version 2): whole
# heads from label maps besides the anatomies above, infarcts of real shapes, CT noise of 0.5 to 2.5 times.
data=$bids_real/..
$python -m model_making.label_anatomies "$data/anatomies" training/anatomies
$python -m model_making.infarct_shapes "$data/infarcts" training/infarcts.npz
heads=training/heads8
three="--anatomies training/anatomies --infarcts training/infarcts.npz --ct-noise 0.5 2.5"
at_once <<END
${make[*]} heads $heads --seeds 2000 2160 $three
${make[*]} heads $heads --seeds 2160 2320 $three
END
ct8="--modality ct --classes 3 --steps 3000 --context 1 --loss dice+cross-entropy --device ${DEVICE:-cpu}"
for member in 0 1 2 3 4 5 6 7 8 9; do
    echo "${make[*]} train $heads training/ct8-$member $ct8 --member $member" \
        "--begin-from ctwml_bids/data/models/ct-sim7"
done | at_once
