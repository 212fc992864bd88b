def test_main_sentence(d, raw):
    d["run"] = {"sample": {"positions": [1, 2]}}
    d["run"]["sample"]["positions"].append(3)

    assert raw("run") == b'{"sample":{"positions":[1,2,3]}}'
