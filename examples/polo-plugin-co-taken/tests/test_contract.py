from polo.testing import parametrize_with_checks


@parametrize_with_checks("sampler", "co_taken")
def test_sampler(check):
    check()


@parametrize_with_checks("loss", "focal_pairs")
def test_loss(check):
    check()
