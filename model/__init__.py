"""A small YOLOv3 detector library; it never imports ``app`` and can be used alone."""
