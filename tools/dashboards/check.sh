#!/bin/sh
# Checks deploy/prometheus/ and deploy/grafana/: tools/dashboards/check.sh [TANDEM]
#
# Always: that the dashboards are those of make.py, that each expression parses, and that what it names exists. Where promtool is: the
# rules, their tests and the example of a configuration. With TANDEM, the server's program: everything against a real server and a real
# Prometheus, about a minute. What is left out for want of a Prometheus is said (tools/prometheus.sh gets one).
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
PYTHONPATH=$("$root/tools/test-tools.sh" dashboards)
export PYTHONPATH PYTHONDONTWRITEBYTECODE=1

"$here/make.py" --check
"$here/check.py"
if ! programs=$("$root/tools/prometheus.sh"); then
    echo "NOT CHECKED for want of it: promtool's tests of the alerts${1:+, and all expressions against a real server}"
    exit
fi
"$programs/promtool" check config "$root/deploy/prometheus/prometheus.yaml"
"$programs/promtool" test rules "$root/deploy/prometheus/tandem.rules.test.yaml"
if [ $# -gt 0 ]; then
    "$here/live.py" "$1" "$programs"
fi
