"""The configuration messages of TensorFlow Serving that ``tensorflow-serving-api`` leaves out.

They are only read as text, so it is the names that count.
"""

from __future__ import annotations

from legan_tf.serving.protobuf import message_classes

_DECLARED = message_classes(
    "legan_tf.local_server",
    {
        "BoolValue": {"value": (1, "bool")},
        "Int64Value": {"value": (1, "int64")},
        "StringValue": {"value": (1, "string")},
        "BatchingParameters": {
            "max_batch_size": (1, "Int64Value"),
            "batch_timeout_micros": (2, "Int64Value"),
            "max_enqueued_batches": (3, "Int64Value"),
            "num_batch_threads": (4, "Int64Value"),
            "thread_pool_name": (5, "StringValue"),
            "allowed_batch_sizes": (6, "*int64"),
            "pad_variable_length_inputs": (7, "bool"),
            "enable_large_batch_splitting": (8, "BoolValue"),
            "max_execution_batch_size": (9, "Int64Value"),
        },
        "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "MonitoringConfig": {"prometheus_config": (1, "PrometheusConfig")},
        "SSLConfig": {
            "server_key": (1, "string"),
            "server_cert": (2, "string"),
            "custom_ca": (3, "string"),
            "client_verify": (4, "bool"),
        },
    },
)
BatchingParameters = _DECLARED["BatchingParameters"]
MonitoringConfig = _DECLARED["MonitoringConfig"]
SSLConfig = _DECLARED["SSLConfig"]
