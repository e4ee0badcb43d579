"""What a functional or sequential Keras model is made of: its calls, and how tensors are packed."""

import keras


def nodes_of(model):
    """The nodes of a model's graph, one for each call, each after those that it needs."""
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs)
    # Keras has no public way to see which call made which tensor, except to write the model's
    # config and read it again, which fails on layers that cannot be written.
    by_depth = model._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def packed_like(model, side, tensors):
    """Tensors in the structure (one, list, dictionary) of a model's inputs or outputs.

    Args:
        model: The model whose structure it is.
        side: "input" or "output".
        tensors: List of tensors in the order of `model.inputs` or `model.outputs`.
    """
    if isinstance(model, keras.Sequential):
        return tensors[0]
    return keras.tree.pack_sequence_as(getattr(model, side), tensors)
