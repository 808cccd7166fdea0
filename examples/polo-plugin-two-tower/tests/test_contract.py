from polo.testing import parametrize_with_checks


@parametrize_with_checks("policy", "two_tower")
def test_contract(check):
    check()
