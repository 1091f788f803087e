"""Models of tables as ONNX: written so that they decide every row as the model itself does.

Used in an environment that has the converters, by the kinds' `to_onnx`, and by payoff's own child process that converts
scikit-learn models. Whether what is written agrees is found out afterwards, on rows.
"""
