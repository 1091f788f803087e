"""PMML as the pmml package of R writes it, by hand: regressions, a tree and a forest, with missing values."""

from tests.kinds.case import Case

START = '''
import json
import math
from pathlib import Path

HEAD = """<?xml version="1.0"?>
<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4">
<Header copyright="R" description="model"><Application name="SoftwareAG PMML Generator" version="2.5.2"/></Header>
<DataDictionary>
<DataField name="price" optype="continuous" dataType="double"/>
<DataField name="bought" optype="categorical" dataType="string"><Value value="no"/><Value value="yes"/></DataField>
<DataField name="area" optype="continuous" dataType="double"/>
<DataField name="floor" optype="continuous" dataType="integer"/>
<DataField name="zone" optype="categorical" dataType="string">
<Value value="north"/><Value value="south"/><Value value="west"/></DataField>
</DataDictionary>
"""
MINING = """
<MiningField name="area" usageType="active" missingValueReplacement="50"/>
<MiningField name="floor" usageType="active"/><MiningField name="zone" usageType="active"/></MiningSchema>
"""
rows = [{"area": None if n == 4 else 20.5 + n, "floor": n % 5, "zone": ["north", "south", "west"][n % 3]}
        for n in range(30)]
Path("sample.json").write_text(json.dumps(rows))


def area(row):
    return 50 if row["area"] is None else row["area"]


def write(model, **expected):
    Path("model.pmml").write_text(HEAD + model + "</PMML>")
    Path("expected.json").write_text(json.dumps(expected))

'''

LINEAR = (
    START
    + '''
write(
    """<RegressionModel modelName="lm_Model" functionName="regression" algorithmName="least squares">
<MiningSchema><MiningField name="price" usageType="predicted"/>"""
    + MINING
    + """<Output><OutputField name="Predicted_price" optype="continuous" dataType="double" feature="predictedValue"/>
</Output><RegressionTable intercept="10.5">
<NumericPredictor name="area" exponent="1" coefficient="2.5"/>
<NumericPredictor name="floor" exponent="1" coefficient="-1.25"/>
<CategoricalPredictor name="zone" value="north" coefficient="0"/>
<CategoricalPredictor name="zone" value="south" coefficient="7.25"/>
<CategoricalPredictor name="zone" value="west" coefficient="-3"/>
</RegressionTable></RegressionModel>""",
    Predicted_price=[
        10.5 + 2.5 * area(row) - 1.25 * row["floor"] + {"north": 0, "south": 7.25, "west": -3}[row["zone"]]
        for row in rows
    ],
)
'''
)

LOGISTIC = (
    START
    + '''
odds = [math.exp(-(-3 + 0.1 * area(row) - (1.5 if row["zone"] == "south" else 0))) for row in rows]
write(
    """<GeneralRegressionModel modelName="glm" modelType="generalizedLinear" functionName="classification"
 algorithmName="glm" distribution="binomial" linkFunction="logit">
<MiningSchema><MiningField name="bought" usageType="predicted"/>"""
    + MINING
    + """<Output>
<OutputField name="Probability_yes" targetField="bought" feature="probability" value="yes" optype="continuous"
 dataType="double"/>
<OutputField name="Predicted_bought" feature="predictedValue" optype="categorical" dataType="string"/></Output>
<ParameterList><Parameter name="p0" label="(Intercept)"/><Parameter name="p1" label="area"/>
<Parameter name="p2" label="zonesouth"/></ParameterList>
<FactorList><Predictor name="zone"/></FactorList>
<CovariateList><Predictor name="area"/></CovariateList>
<PPMatrix><PPCell value="1" predictorName="area" parameterName="p1"/>
<PPCell value="south" predictorName="zone" parameterName="p2"/></PPMatrix>
<ParamMatrix><PCell targetCategory="yes" parameterName="p0" df="1" beta="-3"/>
<PCell targetCategory="yes" parameterName="p1" df="1" beta="0.1"/>
<PCell targetCategory="yes" parameterName="p2" df="1" beta="-1.5"/></ParamMatrix>
</GeneralRegressionModel>""",
    Probability_yes=[1 / (1 + one) for one in odds],
    Predicted_bought=["yes" if one < 1 else "no" for one in odds],
)
'''
)

TREE = (
    START
    + '''
def answer(row):
    if row["area"] is None:
        return 0.3
    if row["area"] > 35:
        return 0.8 if row["zone"] in ("north", "west") else 0.4
    return 0.1


def node(number, predicate, yes, inside=""):
    return f"""<Node id="{number}" score="{'yes' if yes > 0.5 else 'no'}" recordCount="100">{predicate}
<ScoreDistribution value="no" recordCount="{round(100 - 100 * yes)}"/>
<ScoreDistribution value="yes" recordCount="{round(100 * yes)}"/>{inside}</Node>"""


zones = '<SimpleSetPredicate field="zone" booleanOperator="isIn"><Array n="{}" type="string">{}</Array>'
right = node(4, zones.format(2, '"north" "west"') + "</SimpleSetPredicate>", 0.8) + node(
    5, zones.format(1, '"south"') + "</SimpleSetPredicate>", 0.4
)
inside = node(2, '<SimplePredicate field="area" operator="lessOrEqual" value="35"/>', 0.1) + node(
    3, '<SimplePredicate field="area" operator="greaterThan" value="35"/>', 0.5, right
)
write(
    """<TreeModel modelName="rpart" functionName="classification" algorithmName="rpart"
 splitCharacteristic="binarySplit"
 missingValueStrategy="lastPrediction" noTrueChildStrategy="returnLastPrediction">
<MiningSchema><MiningField name="bought" usageType="predicted"/>"""
    + MINING.replace(' missingValueReplacement="50"', "")
    + """<Output><OutputField name="Predicted_bought" optype="categorical" dataType="string" feature="predictedValue"/>
<OutputField name="Probability_yes" optype="continuous" dataType="double" feature="probability" value="yes"/></Output>
"""
    + node(1, "<True/>", 0.3, inside)
    + "</TreeModel>",
    Predicted_bought=["yes" if answer(row) > 0.5 else "no" for row in rows],
    Probability_yes=[answer(row) for row in rows],
)
'''
)

FOREST = (
    START
    + '''
def tree(number, field, at, low, high):
    return f"""<Segment id="{number}"><True/><TreeModel functionName="regression" splitCharacteristic="binarySplit">
<MiningSchema><MiningField name="{field}" missingValueReplacement="50"/></MiningSchema><Node id="1"><True/>
<Node id="2" score="{low}"><SimplePredicate field="{field}" operator="lessOrEqual" value="{at}"/></Node>
<Node id="3" score="{high}"><SimplePredicate field="{field}" operator="greaterThan" value="{at}"/></Node>
</Node></TreeModel></Segment>"""


write(
    """<MiningModel modelName="randomForest_Model" functionName="regression" algorithmName="randomForest">
<MiningSchema><MiningField name="price" usageType="predicted"/>"""
    + MINING
    + """<Segmentation multipleModelMethod="average">"""
    + tree(1, "area", 30, 1.0, 2.0)
    + tree(2, "floor", 2, 3.0, 5.0)
    + "</Segmentation></MiningModel>",
    predicted_price=[((1 if area(row) <= 30 else 2) + (3 if row["floor"] <= 2 else 5)) / 2 for row in rows],
)
'''
)

CASES = [
    Case("pmml linear", LINEAR, "model.pmml", "pmml", heavy=True),
    Case("pmml logistic", LOGISTIC, "model.pmml", "pmml", heavy=True),
    Case("pmml tree", TREE, "model.pmml", "pmml", heavy=True),
    Case("pmml forest without a sample", FOREST, "model.pmml", "pmml", sample=None, heavy=True),
]
