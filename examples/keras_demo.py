import tensorflow as tf


# 加载数据
# mnist是基准数据集，包含了28x28像素的灰度图像，代表从0到9的手写数字
(train_images, train_labels), (test_images, test_labels) = tf.keras.datasets.mnist.load_data()

# 数据基础处理-将训练集变成：图像个数、宽、高、通道数
train_images = tf.reshape(train_images, [train_images.shape[0], train_images.shape[1], train_images.shape[2], 1])
test_images = tf.reshape(test_images, [test_images.shape[0], test_images.shape[1], test_images.shape[2], 1])

# 模型构建
net = tf.keras.models.Sequential([
    # 卷积层： 6个5 * 5的卷积核，激活函数是sigmoid
    tf.keras.layers.Conv2D(filters=6, kernel_size=5, activation='sigmoid', input_shape=(28, 28, 1)),
    # 最大池化
    tf.keras.layers.MaxPooling2D(pool_size=(2, 2)),
    # 卷积层： 16个5 * 5的卷积核，激活函数是sigmoid
    tf.keras.layers.Conv2D(filters=16, kernel_size=5, activation='sigmoid'),
    # 最大池化
    tf.keras.layers.MaxPooling2D(pool_size=(2, 2)),
    # 调整成1维数据
    tf.keras.layers.Flatten(),
    # 全连接神经网络-隐藏层1
    tf.keras.layers.Dense(120, activation="sigmoid"),
    # 全连接神经网络-隐藏层2
    tf.keras.layers.Dense(84, activation="sigmoid"),
    # 全连接神经网络-输出层
    tf.keras.layers.Dense(10, activation="softmax")
])

# 模型编译：定义优化器、损失函数、评价指标
net.compile(tf.keras.optimizers.SGD(learning_rate=0.9), loss='sparse_categorical_crossentropy', metrics=['accuracy'])

# 模型训练
net.fit(train_images, train_labels, epochs=5, validation_split=0.1)

# 模型评估
score = net.evaluate(test_images, test_labels, verbose=1)
print("评估分数:", score[1])
