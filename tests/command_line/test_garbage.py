"""What lives as long as the service is left out of garbage collections."""

import gc

from kernel_gateway.garbage import leave_out_what_stays


def test_what_lives_at_the_start_is_not_looked_at_again():
    kept = [[] for _ in range(1000)]
    try:
        leave_out_what_stays()
        looked_at = {id(each) for each in gc.get_objects()}
        assert gc.get_freeze_count() >= len(kept)
        assert not any(id(each) in looked_at for each in kept)
    finally:
        gc.unfreeze()
