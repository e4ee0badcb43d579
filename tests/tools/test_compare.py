def test_help_names_the_budget_and_the_seeds(run_tool):
    _, out, _ = run_tool("compare", "--help")
    text = "\n".join(out)
    assert "--budget: Updates of every network." in text
    assert "--seeds: How often all is trained." in text


def test_arguments_that_are_no_flags(run_tool):
    code, out, err = run_tool("compare", "runs/comparison")
    assert (code, out) == (1, [])
    assert err == ["error: unexpected arguments ['runs/comparison']; every option is a --flag."]
