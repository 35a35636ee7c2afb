"""Is a cluster that cannot be had named at once?"""

import pytest

from tests.studies.test_local import job
from tfpg.errors import UserError
from tfpg.studies import cluster
from tfpg.studies.jobs import Ledger, Progress


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nobody.invalid:6379", "here"])
def test_a_cluster_that_does_not_answer_is_one_sentence(tmp_path, address):
    with pytest.raises(UserError, match=f"Ray does not answer at address={address} "):
        cluster.run(Progress([job("make", "a")], {}), Ledger(tmp_path), address=address, processors=1, gigabytes=0.1, attempts=1,
                    tell=lambda *_: None)
