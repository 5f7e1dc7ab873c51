cd /work/tmp/pages15-w; rm -rf five2; R="--reports /work/tmp/pages15-w/five2"; N="nice -n -15"
$N python trace.py g4.jsonl compare wine --name f4 --batch-sizes 1,32,full --trials 8 --seeds 4 $R > g4.out 2>&1
$N python trace.py g5.jsonl run --data /work/shared/data/tables/abalone/train.csv --target rings --task regression --name f5 --trials 30 --set confirm.ensemble=1 $R > g5.out 2>&1
