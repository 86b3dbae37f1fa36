import threading


class Resource:
    @classmethod
    def create(cls, attributes):
        return attributes


class BatchSpanProcessor:
    def __init__(self):
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.stopped.wait, name="exporter", daemon=True)
        self.thread.start()


class TracerProvider:
    def __init__(self, resource):
        self.resource = resource
        self.processors = []

    def add_span_processor(self, processor):
        self.processors.append(processor)
